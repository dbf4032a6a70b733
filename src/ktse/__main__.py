"""`python -m ktse`, and with it `torchrun … -m ktse`, is the same as `ktse`."""

from ktse.cli.main import main

if __name__ == "__main__":
    main()
