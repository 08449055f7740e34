// Stands in for 1.5 MB of icons as a script: the theme's style sheet draws the same icons with its own font.
