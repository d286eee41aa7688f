"""`accord audit`: whether what is stored is what the histories give, and nothing was lost or counted twice."""
