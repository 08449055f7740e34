"`python -m poc_book` is `poc-book`."
import sys

from poc_book.cli import main

sys.exit(main())
