"""What legacy disagrees with itself about, and what of it a mask could excuse. Pure but for what stores it."""
