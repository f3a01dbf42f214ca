"""The state of one browser tab. States contain no business logic."""
