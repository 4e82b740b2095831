"""DVC and git: what is out of date, what is kept, and the results branch. The only room that imports DVC."""
