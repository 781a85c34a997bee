# SPDX-License-Identifier: GPL-2.0
# Three tables for each of the two runs; the first has the shares.
set multiplot layout 1,2 margins 0.07,0.80,0.13,0.90 spacing 0.06
set style data linespoints
set yrange [0:105]
set xrange [0:*]
set xlabel "seconds"
array colour[4] = [stock, mitosis, third, fourth]
set ylabel "local leaf tables, data on node 0, percent"
set title "without Mitosis"
unset key
plot for [node=0:3] table index 0 using 1:2+node lw 2 pt 7 ps 0.4 lc rgb colour[node+1], table index 0 using 1:6 with lines dt 2 lc rgb published
unset ylabel
set title "with Mitosis"
set key at screen 0.99,0.85
plot for [node=0:3] table index 3 using 1:2+node lw 2 pt 7 ps 0.4 lc rgb colour[node+1] title sprintf("local to node %d", node), table index 3 using 1:6 with lines dt 2 lc rgb published title "data on node 0"
unset multiplot
