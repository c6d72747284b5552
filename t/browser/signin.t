#!/usr/bin/perl
# Chromium signs in at the certified provider, over http on loopback and over https.

use strict;
use warnings;

use Test::More;
use OIDC::Chromium;

for my $scheme (qw(http https)) {
    my $site = OIDC::Chromium->new($scheme);
    $site->visit('signin');
    $site->stop;
}

done_testing;
