"""What belongs to the one paper that is reproduced: its numbers, its sentences, its Figure 1."""
