"""Conformance: what every implementation of an interface must do, as tests that a newcomer's class inherits.

A new catalogue format is tested in full by ::

    from conformance.formats import FormatTests

    class TestAsdf(FormatTests):
        form = Asdf()
"""
