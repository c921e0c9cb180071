"""The supervisors' console: a module a page, each with a blueprint of its own."""
