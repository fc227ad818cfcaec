"""Numbers and tables as R prints them."""
