"""Files of debtors (CSV, TSV, XLSX) become rows, or reasons why not."""
