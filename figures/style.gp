# SPDX-License-Identifier: GPL-2.0
# What all drawings have in common. 'table' is the file of tables.
set datafile separator "\t"
set datafile missing "-"
# The first row of each table has names, and is no group of bars.
set datafile columnheaders
set border 3 lc rgb "#666666"
set tics nomirror
set grid ytics lc rgb "#dddddd" lw 1
set key outside right top Left reverse samplen 1.5
set style fill solid 1 noborder
set boxwidth 0.9
# Blue and orange are told apart by all readers; grey is what was published.
stock = "#d55e00"
mitosis = "#0072b2"
published = "#999999"
third = "#009e73"
fourth = "#cc79a7"
