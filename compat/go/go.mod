// Dependencies are added outside this folder, at the versions that compat/run names.
module barnabas.compat

go 1.24
