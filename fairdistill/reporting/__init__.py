"""From metrics files to tables and figures."""
