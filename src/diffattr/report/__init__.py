"""The report: one JSON value with every number, and what people read, made from it alone."""
