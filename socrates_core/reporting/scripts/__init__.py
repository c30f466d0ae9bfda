"""Scripts that go into the folder of a report as they are; they import nothing of this project."""
