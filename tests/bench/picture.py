# SPDX-License-Identifier: LGPL-2.1-or-later
"""The benchmarks' results as an SVG: a bar for each ratio, with its mark, and
lines for what was measured at several sizes."""
import re
from html import escape

WIDTH, NAME, BAR, LINE = 900, 290, 420, 22
GOOD, BAD, FREE, MARK = '#3a7d44', '#c0392b', '#5b7fa6', '#222222'


class Picture:
    def __init__(self):
        self.parts = []
        self.y = 10

    def text(self, x, y, text, size=13, anchor='start', weight='normal'):
        self.parts.append('<text x="%.1f" y="%.1f" font-size="%d" text-anchor="%s" '
                          'font-weight="%s">%s</text>' % (x, y, size, anchor, weight, escape(text)))

    def rect(self, x, y, width, height, color):
        self.parts.append('<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>' % (
            x, y, width, height, color))

    def line(self, points, color, width=2):
        self.parts.append('<polyline points="%s" fill="none" stroke="%s" stroke-width="%d"/>' % (
            ' '.join('%.1f,%.1f' % point for point in points), color, width))

    def heading(self, text):
        self.y += 30
        self.text(10, self.y, text, 15, weight='bold')
        self.y += 10

    def bar(self, row):
        """A row's ratio to plain Dovecot; the mark is a black line."""
        ratio, over = row.ratio(), row.over()
        longest = 3.0
        self.text(NAME - 8, self.y + 15, row.name, anchor='end')
        self.rect(NAME, self.y + 3, BAR * min(ratio, longest) / longest, LINE - 6,
                  FREE if over is None else BAD if over else GOOD)
        for value in [1] + ([row.mark] if row.mark is not None else []):
            x = NAME + BAR * min(value, longest) / longest
            self.line([(x, self.y), (x, self.y + LINE)], MARK if value == row.mark else '#bbbbbb',
                      2 if value == row.mark else 1)
        self.text(NAME + BAR + 10, self.y + 15, '%.2f%s   %s -> %s %s' % (
            ratio, '' if row.mark is None else ' (mark %s%g)' % (
                'at least ' if row.more_is_better else '', row.mark),
            short(row.median(row.base)), short(row.median('team')), row.unit))
        self.y += LINE

    def value(self, row):
        self.text(NAME - 8, self.y + 15, row.name, anchor='end')
        self.text(NAME, self.y + 15, ', '.join('%s %s %s' % (
            kind, short(row.median(kind)), row.unit) for kind in ('plain', 'team')
            if row.median(kind) is not None) +
            ('' if row.mark is None else '  (mark %g)' % row.mark))
        self.y += LINE

    def curves(self, name, rows):
        """Several sizes of one thing: a curve for plain and one for the plugin."""
        top = 1.2 * max(row.median(kind) for row in rows for kind in ('plain', 'team')
                        if row.median(kind) is not None)
        height, width = 110, BAR
        self.text(NAME - 8, self.y + 20, name, anchor='end')
        self.line([(NAME, self.y), (NAME, self.y + height), (NAME + width, self.y + height)],
                  '#bbbbbb', 1)
        self.text(NAME - 8, self.y + 40, 'up to %s %s' % (short(top), rows[0].unit), 11, 'end')
        step = width / max(1, len(rows) - 1)
        for kind, color in (('plain', FREE), ('team', GOOD)):
            points = [(NAME + n * step, self.y + height * (1 - row.median(kind) / top))
                      for n, row in enumerate(rows) if row.median(kind) is not None]
            if points:
                self.line(points, color)
                self.text(points[-1][0] + 8, points[-1][1] + 4, kind, 11)
        for n, row in enumerate(rows):
            self.text(NAME + n * step, self.y + height + 14, row.name.split(', ')[-1], 10, 'middle')
        self.y += height + 30

    def save(self, path):
        with open(path, 'w') as f:
            f.write('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" '
                    'font-family="sans-serif"><rect width="100%%" height="100%%" fill="white"/>'
                    '%s</svg>\n' % (WIDTH + 120, self.y + 20, '\n'.join(self.parts)))


def short(value):
    return '%.3g' % value if value < 1000 else '%.0f' % value


def series(rows):
    """Groups rows of a section that differ only in a size."""
    found = {}
    for row in rows:
        match = re.fullmatch(r'(.*), (\d+)( messages)?', row.name)
        found.setdefault(match.group(1) if match else None, []).append(row)
    return found


def draw(rows, path, title):
    picture = Picture()
    picture.y += 14
    picture.text(10, picture.y, title, 12)
    for section in dict.fromkeys(row.section for row in rows):
        picture.heading(section)
        for name, group in series([row for row in rows if row.section == section]).items():
            if name is not None and len(group) > 1:
                picture.curves(name, group)
                continue
            for row in group:
                if row.base and row.ratio() is not None:
                    picture.bar(row)
                else:
                    picture.value(row)
    picture.save(path)
