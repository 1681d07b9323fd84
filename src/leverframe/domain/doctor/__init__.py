"""What is wrong with the surroundings of a project, each finding with the line that fixes it."""
