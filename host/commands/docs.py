"""`headrace docs`: the instruction set and the registers, from their definitions."""


def register(commands):
    parser = commands.add_parser("docs", help="print the instruction set or the registers",
                                 description="Print reference documentation as Markdown.")
    parser.add_argument("what", choices=("isa", "registers"))
    parser.set_defaults(run=run)


def run(args):
    from rtl import csr, isa
    print("\n".join((isa if args.what == "isa" else csr).markdown()))
