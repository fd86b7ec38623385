"""What calls are planned by, remembered: subscribers, tariffs, rates, routes, numbering plans."""
