"""What is done with pixels: an image is opened and checked, then its versions are made."""
