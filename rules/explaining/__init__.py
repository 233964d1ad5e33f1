"""Why a request goes where it goes, in words and as data: for people and for the commands that answer them."""
