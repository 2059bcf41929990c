"""Units on other machines: grants, and the branch of one attempt over git's smart HTTP."""
