"""How a rollout attempt goes, as one offline HTML file."""
