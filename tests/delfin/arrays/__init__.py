"""Arrays that replay small answers, written for these tests: HTTPS and SSH servers."""
