"""Text of others made inert, for each place that shows it: the one module that escapes.

Names, values, branches, paths, commit subjects and words of other programs may be of anybody who opens a pull
request. Each sink has one function here, and nothing else escapes:

- comment, issue, body of a pull request, summary of a job: ``markdown.code`` for a name, ``plain`` and ``sentence``
  for words, ``fenced`` for lines, ``folded``, ``table``, ``link``
- title, subject of a commit, description of a deployment: ``letters.title``
- log and terminal: ``terminal.log``; JSON there ``terminal.log_json``; command and file of a GitHub runner
  ``terminal.command`` and ``terminal.entry``
- HTML, SVG and attributes: ``markup``
- label of a diagram: ``mermaid.label``
"""
