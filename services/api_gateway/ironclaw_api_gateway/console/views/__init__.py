"""The console's views, a module each: they read the fleet and say what their templates show."""
