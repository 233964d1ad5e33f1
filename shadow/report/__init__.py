"""What the pairs of a state folder say: read once (building), and shown as data, text, and one offline HTML file."""
