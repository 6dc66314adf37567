"""Many runs that belong together: searches over settings, and the same run with several seeds."""
