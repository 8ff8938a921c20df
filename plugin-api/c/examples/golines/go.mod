module example.org/golines

go 1.19
