"""What is between the host and a driver of Delfin: everything that a driver does not do as the host needs it."""
