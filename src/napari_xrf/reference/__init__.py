"""What is looked up: materials, minerals, pigments, instruments, and their data files."""
