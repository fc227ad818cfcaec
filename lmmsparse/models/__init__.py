"""The doors, and what each kind of model can do."""
