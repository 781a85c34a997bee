# SPDX-License-Identifier: GPL-2.0
# The gain of each pair of bars is written above it, and the published one below that.
set multiplot layout 1,2 margins 0.08,0.80,0.13,0.90 spacing 0.08
set style data histograms
set style histogram clustered gap 1
set xrange [-0.6:2.6]
gain(now, was) = sprintf("%.2f\n(%.2f)", now, was)
set ylabel "thousand operations in a second"
set title "memcached"
unset key
stats table index 0 using 3 nooutput
set yrange [0:1.25 * STATS_max]
plot table index 0 using 2:xtic(1) lc rgb stock, "" index 0 using 3 lc rgb mitosis, "" index 0 using 0:3:(gain($4, $5)) with labels offset 0,1.5
unset ylabel
set title "XSBench"
set key at screen 0.99,0.85
stats table index 1 using 3 nooutput
set yrange [0:1.25 * STATS_max]
plot table index 1 using 2:xtic(1) lc rgb stock title "without Mitosis", "" index 1 using 3 lc rgb mitosis title "with Mitosis", "" index 1 using 0:3:(gain($4, $5)) with labels offset 0,1.5 title "", keyentry title "1.10 gain", keyentry title "(1.10) published"
unset multiplot
