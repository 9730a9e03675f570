"`python -m fer_teach` is the command `fer_teach`."
from .cli import main

raise SystemExit(main())
