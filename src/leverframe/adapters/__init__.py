"""One file or package a foreign tool, named after it; no other place imports that tool."""
