"""The services that answer: connections to their endpoints, and the care that is taken of them."""
