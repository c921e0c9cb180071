"""What all pages share: layout, the viewer's words, money and times as they are read."""
