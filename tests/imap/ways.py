# SPDX-License-Identifier: LGPL-2.1-or-later
"""The list in dovecot-team(7) of what leads to which record, and which tests
prove it."""
import ast
import glob
import os
import re

from instance import ROOT

PAGE = os.path.join(ROOT, 'packaging', 'man', 'dovecot-team.7')


def recorded(*ways):
    """Decorates a test: it proves these ways of the list, each written as
    "action: way"."""
    def same(function):
        return function
    assert ways
    return same


def documented():
    """All ways of the list."""
    with open(PAGE) as f:
        text = re.search(r'\.SH WHAT IS RECORDED\n(.*?)\n\.SH ', f.read(), re.S).group(1)
    found = []
    for action, body in re.findall(r'^\.TP\n\.B (.+)\n((?:.+\n)*?)(?=\.TP|\.PP)', text + '\n.PP', re.M):
        body = re.sub(r'^\.\w+ ', '', body, flags=re.M)
        body = re.sub(r'\s+', ' ', body.replace('\\e', '\\').replace('\\-', '-')).strip()
        body = re.sub(r' ([.;])', r'\1', body)
        assert body.endswith('.'), 'dovecot-team(7): %s: %s' % (action, body)
        ways = body[:-1].split('; ')
        # what it is comes first
        ways[0] = ways[0].rpartition(': ')[2]
        found += ['%s: %s' % (action, way) for way in ways]
    assert len(found) == len(set(found)) > 50
    return set(found)


def proven():
    """The ways that tests are decorated with."""
    found = set()
    for path in glob.glob(os.path.join(ROOT, 'tests', '*', 'test_*.py')):
        with open(path) as f:
            tree = ast.parse(f.read())
        for function in ast.walk(tree):
            if not isinstance(function, ast.FunctionDef) or not function.name.startswith('test_'):
                continue
            for call in function.decorator_list:
                if isinstance(call, ast.Call) and getattr(call.func, 'id', '') == 'recorded':
                    found.update(argument.value for argument in call.args)
    return found
