"""What `import headrace` offers, and what commands stand on: models, machines, images, runners."""
