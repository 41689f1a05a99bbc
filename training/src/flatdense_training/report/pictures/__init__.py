"""The pictures of a report: one file each, all in one style, for a light page and a dark one."""
