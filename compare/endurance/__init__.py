"""An hour or more of steady load with all sorts of trouble: whether anything grows, and whether anything is lost."""
