"""What a file of a user may cost: memory that stays flat, time that grows with its bytes, whoever wrote it.

Each limit is many times what a real deck has. Beyond it the file is refused, with the row and the limit: what cannot be
read whole is not read at all.
"""

from __future__ import annotations

from typing import Final

PIECE_BYTES: Final = 256 * 1024  # read, checked and sent to PostgreSQL at a time: some milliseconds of work

# Of a row. A deck has a dozen cells of some dozen characters.
MAX_LINE_CHARACTERS: Final = 64 * 1024  # all of it
MAX_CELL_CHARACTERS: Final = 32_767  # one cell: what Excel takes
MAX_CELLS: Final = 1_024  # cells with something in them
MAX_COLUMNS: Final = 16_384  # what a sheet of Excel has; with formats alone a row may go as far
MAX_SHEET_ROWS: Final = 1_048_576  # likewise; a row beyond it is a forged number

# Of a workbook, unpacked.
MAX_SHEET_BYTES: Final = 1024 * 1024 * 1024  # a full sheet of ten columns has about half of it
MAX_TEXT_BYTES: Final = 64 * 1024 * 1024  # the texts that cells share, which are held in memory
MAX_PART_BYTES: Final = 4 * 1024 * 1024  # lists of sheets, formats and parts
MAX_TIMES_PACKED: Final = 250  # how much larger than packed: sheets come to 10 to 60, a bomb to 1,000
ALWAYS_UNPACKED: Final = 16 * 1024 * 1024  # whatever the proportion
MAX_PARTS: Final = 2_000  # files in the archive
MAX_DIRECTORY_BYTES: Final = 1024 * 1024  # their names, which are held in memory
MAX_SHEETS: Final = 200
MAX_FORMATS: Final = 65_536  # of cells: what Excel takes

# Of XML, where an element or a tag without end would be held, or read again and again.
MAX_TAG_BYTES: Final = 256 * 1024
MAX_DEPTH: Final = 64  # a cell's text stands at 7
MAX_NAMES: Final = 10_000  # distinct names of elements and attributes; a sheet has some dozens
