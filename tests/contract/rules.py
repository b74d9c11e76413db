"""The whole contract, in the order of docs/api.md."""

import rules_answers
import rules_better
import rules_body
import rules_failures
import rules_headers
import rules_routes
import rules_script
import rules_settings

GROUPS = [
    rules_routes.GROUP,
    rules_script.GROUP,
    rules_body.GROUP,
    rules_answers.GROUP,
    rules_headers.GROUP,
    rules_failures.GROUP,
    rules_settings.GROUP,
    rules_better.GROUP,
]
