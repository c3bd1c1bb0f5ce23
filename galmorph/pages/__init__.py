"""Pages: what people look at - report, inspection, contact sheet, figures."""
