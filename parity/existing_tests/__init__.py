"""Results of tests that there are already, read from the JUnit XML that any test runner writes."""
