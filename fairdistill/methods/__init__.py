"""The training methods, behind one contract: `fairdistill.methods.base.Method`.

A kind of method is a class in `fairdistill.settings.methods` and the class here that it names. To add one, write the
two; docs/adding_a_method.md goes through it. No rule, loop or engine changes, and none of them knows a method's name.
"""
