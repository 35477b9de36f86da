<!doctype html>
<title>A page</title>
<h1>Hello, <?= htmlspecialchars($_GET['name'] ?? 'stranger') ?></h1>
<ol>
<?php foreach (['one', 'two', 'three'] as $number): ?>
  <li><?= $number ?></li>
<?php endforeach ?>
</ol>
<p><?= $_SERVER['REQUEST_METHOD'], ' ', $_SERVER['SCRIPT_FILENAME'] === __FILE__ ? 'this file' : 'another' ?></p>
