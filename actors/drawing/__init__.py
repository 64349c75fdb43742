"""What is drawn on paper: PDFs in any script, set by Typst from the templates in templates/."""
