"""Everything that reads what somebody else wrote, tried with damaged and hostile inputs. See __main__.py."""
